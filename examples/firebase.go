// Follows a place in a Firebase Realtime Database, and prints its changes:
//
//	firebase https://PROJECT.firebaseio.com/PLACE.json TOKEN_URL
//
// Firebase redirects to the host that has the data, and wants the token in the
// query. TOKEN_URL answers with {"access_token": "..."}, as the metadata server
// of Google's machines does; each attempt asks for a fresh one. The exit status
// is 0 after SIGINT, 1 when the database refuses, 2 for a bad beginning.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"time"

	"github.com/libeventsource/libeventsource/bindings/go"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintf(os.Stderr, "usage: %s URL TOKEN_URL\n", os.Args[0])
		os.Exit(2)
	}
	place, err := url.Parse(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	source, err := eventsource.Connect(place.String(),
		// Without a token nothing is asked, and the source tries again later.
		eventsource.OnRequest(func(request *eventsource.Request) error {
			token, err := token(ctx, os.Args[2])
			if err != nil {
				return err
			}
			asked := *place
			query := asked.Query()
			query.Set("access_token", token)
			asked.RawQuery = query.Encode()
			return request.SetURL(asked.String())
		}),
		// A token may have been revoked before its time.
		eventsource.OnRetry(func(failure *eventsource.Failure) (time.Duration, bool) {
			again := failure.HTTPStatus == http.StatusUnauthorized && failure.Attempt < 3
			return failure.Delay, failure.WillRetry || again
		}))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	err = follow(ctx, source)
	source.Close()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// follow prints changes until ctx is done.
func follow(ctx context.Context, source *eventsource.Source) (last error) {
	for event, err := range source.Events(ctx) {
		var failure *eventsource.Failure
		switch {
		case errors.As(err, &failure) && failure.WillRetry:
			fmt.Fprintf(os.Stderr, "%v; again in %v\n", err, failure.Delay)
		case ctx.Err() != nil:
			return nil
		case err != nil:
			last = err
		case event.Type == "auth_revoked":
			// At once, with another token.
			source.Reconnect()
		case event.Type == "cancel":
			return errors.New("the rules of the database allow it no more")
		case event.Type == "put" || event.Type == "patch":
			var change struct {
				Path string
				Data json.RawMessage
			}
			if err := json.Unmarshal([]byte(event.Data), &change); err != nil {
				return err
			}
			fmt.Printf("%s %s %s\n", event.Type, change.Path, change.Data)
		}
	}
	return last
}

// token asks for a fresh one.
func token(ctx context.Context, from string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Metadata-Flavor", "Google")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var answer struct {
		Token string `json:"access_token"`
	}
	err = json.NewDecoder(response.Body).Decode(&answer)
	if err == nil && answer.Token == "" {
		err = fmt.Errorf("no token from %s: %s", from, response.Status)
	}
	return answer.Token, err
}

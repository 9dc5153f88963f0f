// Follows an event stream, and prints what happens to it:
//
//	listen [-v] URL [LAST_EVENT_ID]
//
// It runs until SIGINT or SIGTERM, or until the source gives up. -v prints
// comments, too, and the library's log to standard error. The exit status is
// 0 after a signal, 1 when the source gave up, 2 when the program could not
// begin.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/libeventsource/libeventsource/bindings/go"
)

func main() {
	verbose := flag.Bool("v", false, "print comments and the log")
	flag.Parse()
	if flag.NArg() < 1 || flag.NArg() > 2 {
		fmt.Fprintf(os.Stderr, "usage: %s [-v] URL [LAST_EVENT_ID]\n", os.Args[0])
		os.Exit(2)
	}
	options := []eventsource.Option{
		eventsource.WithLastEventID(flag.Arg(1)),
		eventsource.OnOpen(func(response *eventsource.Response) {
			fmt.Println("open  ", response.Status, response.URL)
		}),
	}
	if *verbose {
		options = append(options, eventsource.OnComment(func(comment string) {
			fmt.Println("comment" + comment)
		}))
		eventsource.SetLog(eventsource.LogDebug,
			func(_ eventsource.LogLevel, message string) {
				fmt.Fprintln(os.Stderr, message)
			})
	}

	source, err := eventsource.Connect(flag.Arg(0), options...)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %s: %v\n", os.Args[0], flag.Arg(0), err)
		os.Exit(2)
	}
	err = listen(source)
	source.Close()
	fmt.Println("close ", err)
	if err != errTold {
		os.Exit(1)
	}
}

var errTold = errors.New("told to end")

// listen prints events until the source gives up, and returns the reason.
func listen(source *eventsource.Source) error {
	ctx, stop := signal.NotifyContext(context.Background(),
		os.Interrupt, syscall.SIGTERM)
	defer stop()
	var last error
	for event, err := range source.Events(ctx) {
		var failure *eventsource.Failure
		switch {
		case err == nil:
			data := strings.ReplaceAll(event.Data, "\n", "\n       ")
			fmt.Printf("event  %s [%s] %s\n", event.Type, event.LastEventID, data)
		case !errors.As(err, &failure):
			return errTold
		case failure.WillRetry:
			fmt.Printf("lost   %s; again in %d ms\n", failure.Message,
				failure.Delay.Milliseconds())
		default:
			fmt.Println("error ", failure.Message)
			last = failure.Reason
		}
	}
	return last
}

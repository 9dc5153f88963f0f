// As libeventsource.c, with one of two libraries: LIBRARY URL COUNT.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"strconv"

	"github.com/launchdarkly/eventsource"
	"github.com/tmaxmax/go-sse"
)

var wanted, events, bytes int

func onEvent(data string) {
	events++
	bytes += len(data)
	if events == wanted {
		fmt.Println(events, bytes)
		os.Exit(0)
	}
}

func main() {
	library, url := os.Args[1], os.Args[2]
	wanted, _ = strconv.Atoi(os.Args[3])
	switch library {
	case "go-sse":
		request, err := http.NewRequest(http.MethodGet, url, nil)
		if err != nil {
			log.Fatal(err)
		}
		client := sse.Client{}
		connection := client.NewConnection(request)
		connection.Buffer(nil, 4<<20)
		connection.SubscribeToAll(func(event sse.Event) {
			onEvent(event.Data)
		})
		log.Fatal(connection.Connect())
	case "launchdarkly":
		stream, err := eventsource.Subscribe(url, "")
		if err != nil {
			log.Fatal(err)
		}
		for event := range stream.Events {
			onEvent(event.Data())
		}
	}
	os.Exit(1)
}

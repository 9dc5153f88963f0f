// Follows the URL it is given to its first event, and prints its data.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/libeventsource/libeventsource/bindings/go"
)

func main() {
	source, err := eventsource.Connect(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	defer source.Close()
	for event := range source.Events(context.Background()) {
		fmt.Println(event.Data)
		break
	}
}

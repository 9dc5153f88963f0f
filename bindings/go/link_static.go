//go:build cgo && linux && eventsource_static

package eventsource

// The archive is where the linker looks, or where CGO_LDFLAGS=-L... says.

// #cgo LDFLAGS: -l:libeventsource.a -lpthread -ldl -lm
import "C"

//go:build cgo && linux && !eventsource_static

package eventsource

// #cgo pkg-config: eventsource
import "C"

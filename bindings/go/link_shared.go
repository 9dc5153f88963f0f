//go:build !eventsource_static

package eventsource

// #cgo pkg-config: eventsource
import "C"

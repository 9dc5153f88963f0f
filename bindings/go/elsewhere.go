//go:build !cgo || !linux

// Package eventsource is a binding to a C library for Linux. It cannot be
// built here: see the error.
package eventsource

// This does not compile, so that a program learns at once, and not when it
// runs, why there is nothing in this package.
const _ int = "eventsource needs Linux and cgo: build for GOOS=linux, with CGO_ENABLED=1, a C compiler for the target, pkg-config and libeventsource installed"

//go:build other

package main

// #cgo LDFLAGS: -lother
// int other_catches(void);
import "C"

func init() {
	if C.other_catches() != 1 {
		panic("the other library is broken")
	}
}

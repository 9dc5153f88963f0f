//go:build tools

// Package tools names the program that tests/h2spec.rs builds, so that go.mod
// and go.sum say of what.
package tools

import _ "github.com/summerwind/h2spec/cmd/h2specd"

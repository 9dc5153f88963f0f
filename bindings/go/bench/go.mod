module github.com/libeventsource/libeventsource/bindings/go/bench

go 1.23

require (
	github.com/launchdarkly/eventsource v1.11.0
	github.com/libeventsource/libeventsource/bindings/go v0.0.0
	github.com/tmaxmax/go-sse v0.11.0
)

replace github.com/libeventsource/libeventsource/bindings/go => ../

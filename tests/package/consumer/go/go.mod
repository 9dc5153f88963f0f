module consumer

go 1.23

require github.com/libeventsource/libeventsource/bindings/go v0.0.0

replace github.com/libeventsource/libeventsource/bindings/go => ../../../../bindings/go

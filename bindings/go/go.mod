module github.com/libeventsource/libeventsource/bindings/go

go 1.23

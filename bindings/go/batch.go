//go:build cgo && linux

package eventsource

/*
#include <stdint.h>
#include "eventsource.h"

enum { EVENTSOURCE_GO_BATCH = 256 };

// What was taken from the queue at once: the addresses of the items. As numbers
// they are nothing that Go would look through at every call.
typedef struct eventsource_go_batch {
	size_t count;
	uintptr_t items[EVENTSOURCE_GO_BATCH];
} eventsource_go_batch;

static eventsource_error eventsource_go_next(
	eventsource *source,
	eventsource_go_batch *batch)
{
	return eventsource_next_batch(
		source, 0, (const eventsource_item **)batch->items,
		EVENTSOURCE_GO_BATCH, &batch->count);
}
*/
import "C"

import (
	"sync"
	"unsafe"
)

// batch is what was taken from the queue at once. The items are the library's
// until the next are taken.
type batch struct {
	taken C.eventsource_go_batch
	// Which of them is next.
	next C.size_t
	// Where the C text of the event before is.
	eventType, lastEventID, origin *C.char
	// A copy of what is at an address.
	copied string
	from   uintptr
}

// Sources that have nothing to tell share what the others need.
var batches = sync.Pool{New: func() any { return new(batch) }}

// How many bytes the data of several events has at most that share memory.
// Whoever keeps the data of one of them keeps all of it.
const chunk = 2048

// take takes what is in the queue. It returns [ErrTimeout] if that is nothing.
func (s *Source) take() error {
	b := s.batch
	if b == nil {
		b = batches.Get().(*batch)
	}
	err := errorOf(C.eventsource_go_next(s.source, &b.taken))
	b.next, b.eventType, b.lastEventID, b.origin = 0, nil, nil, nil
	// Something else is there from now on.
	b.copied, b.from = "", 0
	if err != nil {
		batches.Put(b)
		b = nil
	}
	s.batch = b
	return err
}

// left is whether an item is left to tell.
func (b *batch) left() bool {
	return b != nil && b.next < b.taken.count
}

// item returns an item.
func (b *batch) item(index C.size_t) *C.eventsource_item {
	return *(**C.eventsource_item)(unsafe.Pointer(&b.taken.items[index]))
}

// data copies the data of the event before next, together with those of the
// events that follow and lie behind them: to copy each would take longer.
func (b *batch) data(event *C.eventsource_event) string {
	length := uintptr(event.data_len)
	start := uintptr(unsafe.Pointer(event.data)) - b.from
	if have := uintptr(len(b.copied)); start > have || length > have-start {
		b.copied, b.from = b.together(event), b.from+start
		start = 0
	}
	return b.copied[start : start+length]
}

// together copies the data of an event and of those behind it, as far as they
// share memory. Where the NUL that ends the data of one is, and the next begin
// behind it, all is text of the library's.
func (b *batch) together(event *C.eventsource_event) string {
	length := event.data_len
	for i := b.next; i < b.taken.count; i++ {
		behind := uintptr(unsafe.Pointer(event.data)) + uintptr(length) + 1
		next := b.item(i).event
		if next == nil || uintptr(unsafe.Pointer(next.data)) != behind ||
			length+1+next.data_len > chunk {
			break
		}
		length += 1 + next.data_len
	}
	return text(event.data, length)
}

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
	"strings"
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
	// Where data is copied, and for how many bytes more there is room.
	copied strings.Builder
	room   int
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
	if err != nil {
		// What it holds is no longer of use, and may be long.
		b.copied.Reset()
		b.room = 0
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

// data copies the data of the event before next. It shares memory with that of
// those that follow: to allocate takes longer than to copy.
func (b *batch) data(event *C.eventsource_event) string {
	length := int(event.data_len)
	if b.room < length {
		b.room = b.enough(length)
		b.copied.Reset()
		b.copied.Grow(b.room)
	}
	b.room -= length
	start := b.copied.Len()
	b.copied.WriteString(borrowed(event.data, event.data_len))
	return b.copied.String()[start:]
}

// enough is the length of the data of an event, and of those behind it as far
// as they share its memory.
func (b *batch) enough(length int) int {
	for i := b.next; i < b.taken.count; i++ {
		event := b.item(i).event
		if event == nil {
			continue
		}
		if length+int(event.data_len) > chunk {
			break
		}
		length += int(event.data_len)
	}
	return length
}

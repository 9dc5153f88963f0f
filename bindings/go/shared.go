//go:build cgo && linux

package eventsource

// #include "eventsource.h"
import "C"

import (
	"context"
	"os"
	"sync"
	"syscall"
	"time"
)

// What the sources of a program share: the thread that drives them, and the
// descriptor by which goroutines wait for their queues. Both are made for the
// first source that needs them, and are there until the process ends: without
// a source the thread sleeps.

var making sync.Mutex

var driver *C.eventsource_loop

// loop returns the loop that drives the sources of this program.
func loop() (*C.eventsource_loop, error) {
	making.Lock()
	defer making.Unlock()
	if driver != nil {
		return driver, nil
	}
	var made *C.eventsource_loop
	if err := errorOf(C.eventsource_loop_new(&made)); err != nil {
		return nil, err
	}
	if err := errorOf(C.eventsource_loop_start(made)); err != nil {
		C.eventsource_loop_free(made)
		return nil, err
	}
	driver = made
	return driver, nil
}

// poller waits for the queues of all sources. Their descriptors are the
// library's, which closes them, while Go's poller closes what it is given: so
// Go's is given an epoll(7) that holds them. One of the goroutines that wait
// does so for the others, too, and hands that on when its own source has
// something: a program with one source has no goroutine between.
type poller struct {
	file  *os.File
	conn  syscall.RawConn
	epoll int
	// Full while a goroutine waits for all.
	waits chan struct{}
	// That goroutine's.
	events [128]syscall.EpollEvent

	mu sync.Mutex
	// By the descriptors of their queues.
	sources map[int32]*Source
}

var poll *poller

// queues returns the poller of this program.
func queues() (*poller, error) {
	making.Lock()
	defer making.Unlock()
	if poll != nil {
		return poll, nil
	}
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	// Go waits without a thread for nothing that would block.
	if err := syscall.SetNonblock(epoll, true); err != nil {
		syscall.Close(epoll)
		return nil, err
	}
	file := os.NewFile(uintptr(epoll), "eventsource")
	conn, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, err
	}
	poll = &poller{
		file: file, conn: conn, epoll: epoll,
		waits:   make(chan struct{}, 1),
		sources: map[int32]*Source{},
	}
	return poll, nil
}

// Whoever is woken takes all that there is, and so is told once.
const edgeTriggered = 1 << 31

// add has a source woken when there is something in its queue.
func (p *poller) add(s *Source) error {
	p.mu.Lock()
	p.sources[s.fd] = s
	p.mu.Unlock()
	event := syscall.EpollEvent{Events: syscall.EPOLLIN | edgeTriggered, Fd: s.fd}
	return syscall.EpollCtl(p.epoll, syscall.EPOLL_CTL_ADD, int(s.fd), &event)
}

// remove is for before the library closes the descriptor.
func (p *poller) remove(s *Source) {
	syscall.EpollCtl(p.epoll, syscall.EPOLL_CTL_DEL, int(s.fd), nil)
	p.mu.Lock()
	delete(p.sources, s.fd)
	p.mu.Unlock()
}

// wait returns when there may be something in the queue of a source, or when
// ctx is done.
func (p *poller) wait(s *Source, ctx context.Context) error {
	select {
	case <-s.ready:
		return nil
	case <-ctx.Done():
		return nil
	case p.waits <- struct{}{}:
	}
	defer func() { <-p.waits }()
	defer p.giveUpWhenDone(ctx)()
	err := p.conn.Read(func(uintptr) bool {
		p.wakeAll()
		select {
		case <-s.ready:
			return true
		default:
			return false
		}
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// giveUpWhenDone ends the wait when ctx is done, until what it returns is
// called.
func (p *poller) giveUpWhenDone(ctx context.Context) func() {
	if ctx.Done() == nil {
		return func() {}
	}
	given := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		p.file.SetReadDeadline(time.Unix(1, 0))
		close(given)
	})
	return func() {
		if !stop() {
			<-given
			p.file.SetReadDeadline(time.Time{})
		}
	}
}

// wakeAll wakes the sources that have got something.
func (p *poller) wakeAll() {
	for n := len(p.events); n == len(p.events); {
		n, _ = syscall.EpollWait(p.epoll, p.events[:], 0)
		p.mu.Lock()
		for i := range max(n, 0) {
			// One that has been closed is not there. Another that has got its
			// descriptor since finds nothing, and waits again.
			if s := p.sources[p.events[i].Fd]; s != nil {
				s.wake()
			}
		}
		p.mu.Unlock()
	}
}

// wake has the goroutine that ranges look at the queue.
func (s *Source) wake() {
	select {
	case s.ready <- struct{}{}:
	default:
		// It was told already.
	}
}

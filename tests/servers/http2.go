// A server that speaks HTTP/2, over TLS and openly: three events a stream,
// numbered on; the third stream goes on in silence. A POST is told the length of
// its body.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
)

func main() {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	handler := http.HandlerFunc(stream)
	plain := &http.Server{
		Addr: os.Args[2], Handler: handler, Protocols: protocols,
	}
	go func() { log.Fatal(plain.ListenAndServe()) }()
	secure := &http.Server{
		Addr: os.Args[1], Handler: handler, Protocols: protocols,
	}
	log.Fatal(secure.ListenAndServeTLS(os.Args[3], os.Args[4]))
}

func stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	if r.Method == http.MethodPost {
		length, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "data: %d\n\n", length)
		return
	}
	last, _ := strconv.Atoi(r.Header.Get("Last-Event-ID"))
	for number := last + 1; number <= last+3; number++ {
		fmt.Fprintf(w, "id: %d\ndata: %d\n\n", number, number)
		w.(http.Flusher).Flush()
	}
	if last >= 6 {
		<-r.Context().Done()
	}
}

//go:build cgo && linux

package eventsource

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
)

// Of what the header declares, what this package has no use for, and why.
var unused = map[string]string{
	"eventsource_response_header": "Response.Header has all of them",
	"eventsource_on_open":         "the queue tells it",
	"eventsource_on_event":        "the queue tells it",
	"eventsource_on_error":        "the queue tells it",
	"eventsource_on_close":        "the queue tells it",
	"eventsource_on_comment":      "the queue tells it",
	"eventsource_add_listener":    "a range looks at Event.Type",
	"eventsource_remove_listener": "a range looks at Event.Type",
	"eventsource_next":            "items come in batches",
	"eventsource_wait":            "the range ends",
	"eventsource_parser_reset":    "each stream has a parser of its own",
	"eventsource_loop_fd":         "the loop has a thread of the library's",
	"eventsource_loop_dispatch":   "the loop has a thread of the library's",
}

// How the options are called whose names do not follow from C's.
var options = map[string]string{
	"set_comments":         "OnComment",
	"set_with_credentials": "WithCredentials",
	"set_log":              "SetLog",
	// Not an option: the loop of all.
	"set_loop": "loop",
}

type named struct {
	Name string
}

// api is what eventsource.h declares. The description is beside the module,
// and so only where its sources are.
func api(t *testing.T) (api struct {
	Functions []named
	Enums     []struct{ Values []named }
	Structs   []struct{ Members []named }
}) {
	text, err := os.ReadFile("../api.json")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("not among the library's sources")
	}
	if err == nil {
		err = json.Unmarshal(text, &api)
	}
	if err != nil {
		t.Fatal(err)
	}
	return api
}

// names returns the names of C's that the package uses, those that it
// defines, and those of members that it selects.
func names(t *testing.T) (c, defined, selected map[string]bool) {
	c, defined, selected = map[string]bool{}, map[string]bool{}, map[string]bool{}
	packages, err := parser.ParseDir(token.NewFileSet(), ".",
		func(file fs.FileInfo) bool {
			return !strings.HasSuffix(file.Name(), "_test.go")
		}, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	called := regexp.MustCompile(`\b(eventsource_\w+)\(`)
	ast.Inspect(packages["eventsource"], func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.SelectorExpr:
			if of, ok := node.X.(*ast.Ident); ok && of.Name == "C" {
				c[node.Sel.Name] = true
			}
			selected[strings.TrimPrefix(node.Sel.Name, "_")] = true
		case *ast.FuncDecl:
			if node.Recv == nil {
				defined[strings.ToLower(node.Name.Name)] = true
			}
		case *ast.GenDecl:
			// C code before an import, whose text has no comments then.
			if node.Tok == token.IMPORT {
				for _, call := range called.FindAllStringSubmatch(node.Doc.Text(), -1) {
					c[call[1]] = true
				}
			}
		}
		return true
	})
	return
}

func TestEveryFunctionOfTheHeaderIsUsed(t *testing.T) {
	used, defined, _ := names(t)
	declared := api(t).Functions
	if len(declared) < 40 {
		t.Fatalf("so few? %q", declared)
	}
	left := map[string]bool{}
	for name := range unused {
		left[name] = true
	}
	for _, function := range declared {
		name := function.Name
		delete(left, name)
		if used[name] == (unused[name] != "") {
			t.Errorf("%s: used is %v", name, used[name])
		}
		setter := strings.TrimPrefix(name, "eventsource_")
		option := options[setter]
		if option == "" {
			option = "With" + strings.TrimPrefix(setter, "set_")
		}
		option = strings.ToLower(strings.ReplaceAll(option, "_", ""))
		if strings.HasPrefix(setter, "set_") && !defined[option] && unused[name] == "" {
			t.Errorf("%s has no %s", name, option)
		}
	}
	if len(left) > 0 {
		t.Errorf("not in the header: %v", left)
	}
}

func TestEveryNumberAndMemberOfTheHeaderIsUsed(t *testing.T) {
	used, _, selected := names(t)
	api, numbers, members := api(t), 0, 0
	for _, enum := range api.Enums {
		for _, value := range enum.Values {
			numbers++
			if !used[value.Name] {
				t.Errorf("%s is not used", value.Name)
			}
		}
	}
	for _, structure := range api.Structs {
		for _, member := range structure.Members {
			members++
			if !selected[member.Name] {
				t.Errorf("the member %s is not used", member.Name)
			}
		}
	}
	if numbers < 40 || members < 25 {
		t.Fatalf("so few? %d, %d", numbers, members)
	}
}

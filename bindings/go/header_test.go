package eventsource

import (
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
	"eventsource_on_open":         "the queue tells it",
	"eventsource_on_event":        "the queue tells it",
	"eventsource_on_error":        "the queue tells it",
	"eventsource_on_close":        "the queue tells it",
	"eventsource_on_comment":      "the queue tells it",
	"eventsource_add_listener":    "a range looks at Event.Type",
	"eventsource_remove_listener": "a range looks at Event.Type",
	"eventsource_next":            "items come in batches",
	"eventsource_wait":            "the range ends",
	"eventsource_parser_new":      "a parser calls back for each event",
	"eventsource_parser_feed":     "a parser calls back for each event",
	"eventsource_parser_reset":    "a parser calls back for each event",
	"eventsource_parser_free":     "a parser calls back for each event",
}

// How the options are called whose names do not follow from C's.
var options = map[string]string{
	"set_comments":         "OnComment",
	"set_with_credentials": "WithCredentials",
	"set_log":              "SetLog",
}

// header is what eventsource.h declares, without its comments.
func header(t *testing.T) string {
	text, err := os.ReadFile("eventsource.h")
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`//.*`).ReplaceAllString(string(text), "")
}

// used returns the names of C's that the package uses, the names that it
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
	declared := regexp.MustCompile(`\b(eventsource_\w+)\(\s`).
		FindAllStringSubmatch(regexp.MustCompile(`(?s).*extern "C" \{`).
			ReplaceAllString(strings.ReplaceAll(header(t), "(", "( "), ""), -1)
	if len(declared) < 40 {
		t.Fatalf("so few? %q", declared)
	}
	left := map[string]bool{}
	for name := range unused {
		left[name] = true
	}
	for _, match := range declared {
		name := match[1]
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
		if strings.HasPrefix(setter, "set_") && !defined[option] {
			t.Errorf("%s has no %s", name, option)
		}
	}
	if len(left) > 0 {
		t.Errorf("not in the header: %v", left)
	}
}

func TestEveryNumberAndMemberOfTheHeaderIsUsed(t *testing.T) {
	used, _, selected := names(t)
	text := header(t)
	numbers := regexp.MustCompile(`\b(EVENTSOURCE_\w+) = \d`).
		FindAllStringSubmatch(text, -1)
	if len(numbers) < 40 {
		t.Fatalf("so few? %q", numbers)
	}
	for _, match := range numbers {
		if !used[match[1]] {
			t.Errorf("%s is not used", match[1])
		}
	}
	structures := regexp.MustCompile(`(?s)typedef struct \w+ \{(.*?)\}`).
		FindAllStringSubmatch(text, -1)
	members := 0
	for _, structure := range structures {
		for _, match := range regexp.MustCompile(`(\w+);`).
			FindAllStringSubmatch(structure[1], -1) {
			members++
			if !selected[match[1]] {
				t.Errorf("the member %s is not used", match[1])
			}
		}
	}
	if members < 25 {
		t.Fatalf("so few? %d", members)
	}
}

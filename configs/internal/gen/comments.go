package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
)

// comments are doc comments by "Struct" and "Struct.Field", each on one line.
type comments map[string]string

// readComments reads the doc comments of the structs in a directory.
func readComments(dir string) (comments, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("no Go files in %s: %v", dir, err)
	}
	docs := comments{}
	for _, path := range paths {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.TYPE {
				docs.add(g)
			}
		}
	}
	return docs, nil
}

func (c comments) add(g *ast.GenDecl) {
	for _, s := range g.Specs {
		t := s.(*ast.TypeSpec)
		st, ok := t.Type.(*ast.StructType)
		if !ok {
			continue
		}
		c[t.Name.Name] = oneLine(g.Doc)
		for _, f := range st.Fields.List {
			for _, name := range f.Names {
				c[t.Name.Name+"."+name.Name] = oneLine(f.Doc)
			}
		}
	}
}

func oneLine(g *ast.CommentGroup) string { return strings.Join(strings.Fields(g.Text()), " ") }

// of returns the comment of a struct, for readers who do not know its name in Go.
func (c comments) of(t reflect.Type) string {
	return strings.Replace(c[t.Name()], t.Name()+" ", "This ", 1)
}

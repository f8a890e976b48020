package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// A goPackage is what `go list -json` says of a package, as far as it matters here.
type goPackage struct {
	ImportPath   string
	Dir          string
	Module       *struct{ Path string }
	GoFiles      []string
	CgoFiles     []string
	TestGoFiles  []string
	XTestGoFiles []string
	Imports      []string
}

// goModule makes the workflow of the Go module that the program is started in: a task
// for each of its packages, which waits for those that the package imports.
func goModule(ctx context.Context) (*Workflow, error) {
	module, dir, err := mainModule(ctx)
	if err != nil {
		return nil, err
	}
	// -e: a package that does not compile is a task that fails, not the end of it all.
	out, err := goCommand(ctx, dir, "list", "-e", "-deps",
		"-json=ImportPath,Dir,Module,GoFiles,CgoFiles,TestGoFiles,XTestGoFiles,Imports", "./...")
	if err != nil {
		return nil, err
	}
	w := &Workflow{Name: module, Source: dir}
	tasks := make(map[string]*Task)
	dec := json.NewDecoder(bytes.NewReader(out))
	for {
		// -deps lists a package after all that it imports, so their tasks are there.
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("output of go list: %w", err)
		}
		if p.Module == nil || p.Module.Path != module {
			continue // the standard library and other modules
		}
		t := &Task{Name: p.ImportPath, Kind: area(module, p.ImportPath), State: Submitted}
		for _, path := range p.Imports {
			if dep := tasks[path]; dep != nil {
				t.dependsOn(dep)
			}
		}
		for _, name := range slices.Concat(p.GoFiles, p.CgoFiles, p.TestGoFiles, p.XTestGoFiles) {
			t.reads(sourceFile(dir, filepath.Join(p.Dir, name)))
		}
		tasks[p.ImportPath] = t
		w.Tasks = append(w.Tasks, t)
	}
	if len(w.Tasks) == 0 {
		return nil, fmt.Errorf("module %s in %s has no packages", module, dir)
	}
	w.Machines = []*Machine{thisMachine()}
	return w, nil
}

// mainModule returns the path and the folder of the module of the current folder.
func mainModule(ctx context.Context) (path, dir string, err error) {
	out, err := goCommand(ctx, "", "env", "GOMOD")
	if err != nil {
		return "", "", err
	}
	gomod := strings.TrimSpace(string(out))
	if gomod == "" || gomod == os.DevNull {
		return "", "", errors.New("this folder is in no Go module: go to a clone of one, or give -workflow FILE")
	}
	dir = filepath.Dir(gomod)
	out, err = goCommand(ctx, dir, "mod", "edit", "-json")
	if err != nil {
		return "", "", err
	}
	var mod struct{ Module struct{ Path string } }
	if err := json.Unmarshal(out, &mod); err != nil {
		return "", "", fmt.Errorf("output of go mod edit: %w", err)
	}
	return mod.Module.Path, dir, nil
}

// goCommand runs the go command and returns what it prints.
func goCommand(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("go %s: %w\n%s", args[0], err, lastLines(string(exit.Stderr), 10))
	}
	return out, err
}

// area is the topmost folder of a package within its module.
func area(module, pkg string) string {
	rel := strings.TrimPrefix(strings.TrimPrefix(pkg, module), "/")
	if rel == "" {
		return "."
	}
	top, _, _ := strings.Cut(rel, "/")
	return top
}

func sourceFile(root, path string) *File {
	f := &File{Name: path}
	if rel, err := filepath.Rel(root, path); err == nil {
		f.Name = filepath.ToSlash(rel)
	}
	if info, err := os.Stat(path); err == nil {
		f.Size = info.Size()
	}
	return f
}

func thisMachine() *Machine {
	name, err := os.Hostname()
	if err != nil {
		name = "localhost"
	}
	return &Machine{Name: name, OS: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU()}
}

package main

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// wfInstance is a recorded execution of a workflow in WfFormat 1.5 (https://wfcommons.org), as far
// as it matters here.
type wfInstance struct {
	Name          string `json:"name"`
	SchemaVersion string `json:"schemaVersion"`
	Workflow      struct {
		Specification struct {
			Tasks []struct {
				Name        string   `json:"name"`
				ID          string   `json:"id"`
				Parents     []string `json:"parents"`
				Children    []string `json:"children"`
				InputFiles  []string `json:"inputFiles"`
				OutputFiles []string `json:"outputFiles"`
			} `json:"tasks"`
			Files []struct {
				ID          string `json:"id"`
				SizeInBytes int64  `json:"sizeInBytes"`
			} `json:"files"`
		} `json:"specification"`
		Execution struct {
			Tasks    []wfExecuted `json:"tasks"`
			Machines []struct {
				NodeName     string `json:"nodeName"`
				System       string `json:"system"`
				Architecture string `json:"architecture"`
				CPU          struct {
					CoreCount int `json:"coreCount"`
				} `json:"cpu"`
			} `json:"machines"`
		} `json:"execution"`
	} `json:"workflow"`
}

// A wfExecuted is the run of a task.
type wfExecuted struct {
	ID               string  `json:"id"`
	RuntimeInSeconds float64 `json:"runtimeInSeconds"`
	Command          struct {
		Program string `json:"program"`
	} `json:"command"`
	Machines []string `json:"machines"`
}

const wfVersion = "1.5"

// readWorkflow makes the workflow of a WfFormat file, compressed with gzip or not.
func readWorkflow(path string) (*Workflow, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	in, err := parseWorkflow(path)
	if err != nil {
		return nil, fmt.Errorf("workflow %s: %w", path, err)
	}
	w, err := in.graph()
	if err != nil {
		return nil, fmt.Errorf("workflow %s: %w", path, err)
	}
	w.Source, w.Simulated = abs, true
	return w, nil
}

func parseWorkflow(path string) (*wfInstance, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	buf := bufio.NewReader(f)
	var r io.Reader = buf
	if magic, _ := buf.Peek(2); string(magic) == "\x1f\x8b" {
		if r, err = gzip.NewReader(buf); err != nil {
			return nil, err
		}
	}
	var in wfInstance
	if err := json.NewDecoder(r).Decode(&in); err != nil {
		return nil, fmt.Errorf("no WfFormat: %w", err)
	}
	if in.SchemaVersion != wfVersion {
		return nil, fmt.Errorf("schemaVersion is %q, only %s is understood", in.SchemaVersion, wfVersion)
	}
	return &in, nil
}

package lint

import (
	"encoding/json"
	"io"
	"net/url"
	"path/filepath"
	"slices"
)

// The parts of SARIF 2.1.0 that code scanners read.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool    sarifTool     `json:"tool"`
		Results []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID                   string      `json:"id"`
		ShortDescription     sarifText   `json:"shortDescription"`
		FullDescription      sarifText   `json:"fullDescription"`
		HelpURI              string      `json:"helpUri"`
		DefaultConfiguration sarifConfig `json:"defaultConfiguration"`
	}
	sarifConfig struct {
		Level Severity `json:"level"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Level        Severity           `json:"level"`
		Message      sarifText          `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
	}
	sarifLocation struct {
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
	sarifLogical struct {
		FullyQualifiedName string `json:"fullyQualifiedName"`
		Kind               string `json:"kind"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Justification string `json:"justification"`
	}
)

// WriteSARIF writes a report in the format of code scanners, SARIF 2.1.0, with
// every rule and with what is silenced. Paths are as they were given, so that a
// scanner that runs in the root of a repository finds the files.
func WriteSARIF(out io.Writer, report *Report) error {
	run := sarifRun{
		Tool: sarifTool{sarifDriver{
			Name: "warrener lint", InformationURI: DocumentationURL, Rules: make([]sarifRule, len(Rules)),
		}},
		Results: make([]sarifResult, len(report.Findings)),
	}
	for i := range Rules {
		rule := &Rules[i]
		run.Tool.Driver.Rules[i] = sarifRule{
			ID: rule.ID, ShortDescription: sarifText{rule.Summary}, FullDescription: sarifText{rule.Reason},
			HelpURI: rule.URL(), DefaultConfiguration: sarifConfig{rule.Severity},
		}
	}
	for i := range report.Findings {
		run.Results[i] = sarifOf(&report.Findings[i])
	}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(sarifLog{
		Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run},
	})
}

func sarifOf(f *Finding) sarifResult {
	location := sarifLocation{Physical: sarifPhysical{Artifact: sarifArtifact{uriOf(f.File)}}}
	if f.Line > 0 {
		location.Physical.Region = &sarifRegion{f.Line}
	}
	if f.Object != "" {
		location.Logical = []sarifLogical{{f.Where(), "resource"}}
	}
	result := sarifResult{
		RuleID: f.Rule, RuleIndex: slices.IndexFunc(Rules, func(r Rule) bool { return r.ID == f.Rule }),
		Level: f.Severity, Message: sarifText{f.Message}, Locations: []sarifLocation{location},
	}
	if where := f.Where(); where != "" {
		result.Message.Text = where + ": " + f.Message
	}
	if f.Silenced != "" {
		result.Suppressions = []sarifSuppression{{"inSource", f.Silenced}}
	}
	return result
}

// uriOf is a path as a relative reference: a space in it is %20.
func uriOf(path string) string {
	return (&url.URL{Path: filepath.ToSlash(filepath.Clean(path))}).String()
}

// Where names object and field: `Queue shop/orders spec.maxLength`.
func (f *Finding) Where() string {
	if f.Field == "" {
		return f.Object
	}
	return f.Object + " " + f.Field
}

package report

import (
	"fmt"
	"html"
	"strings"
)

// Measures of the drawing.
const (
	panelWidth = 400
	rowHeight  = 22
	panelTop   = 44
	labelWidth = 120
	barWidth   = 200
	panelGap   = 18
	ownPeer    = "anyport"
)

// style reads well on light and on dark pages.
const style = `<style>
text { font: 12px system-ui, sans-serif; fill: #333 } .title { font-weight: 600 } .unit { fill: #777 }
.bar { fill: #b8bec7 } .own { fill: #2f7d4f }
@media (prefers-color-scheme: dark) {
text { fill: #ddd } .unit { fill: #999 } .bar { fill: #596273 } .own { fill: #4fb477 }
}
</style>
`

// SVG draws the first metric of each section as bars, two sections in a line. The
// peers are those of each section.
func (s Samples) SVG(sections []Section) string {
	var b strings.Builder
	y := 0
	for i := 0; i < len(sections); i += 2 {
		pair := sections[i:min(i+2, len(sections))]
		height := 0
		for column, section := range pair {
			height = max(height, s.panel(&b, section, column*(panelWidth+panelGap), y))
		}
		y += height + panelGap
	}
	return fmt.Sprintf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"Benchmarks\">\n%s%s</svg>\n",
		2*panelWidth+panelGap, y, style, b.String())
}

// panel draws one section and returns its height.
func (s Samples) panel(b *strings.Builder, section Section, x, y int) int {
	metric := section.Metrics[0]
	better := "more is better"
	if metric.Less {
		better = "less is better"
	}
	fmt.Fprintf(b, "<text class=\"title\" x=\"%d\" y=\"%d\">%s</text>\n", x, y+14, html.EscapeString(section.Title))
	fmt.Fprintf(b, "<text class=\"unit\" x=\"%d\" y=\"%d\">%s, %s</text>\n", x, y+32, html.EscapeString(metric.Name), better)
	var peers []string
	most := 0.0
	for _, peer := range section.Peers {
		if summary := s.summary(section, peer, metric); summary.Runs > 0 {
			peers = append(peers, peer)
			most = max(most, summary.Median)
		}
	}
	for i, peer := range peers {
		s.bar(b, peer, s.summary(section, peer, metric).Median, most, x, y+panelTop+i*rowHeight)
	}
	return panelTop + len(peers)*rowHeight
}

func (s Samples) bar(b *strings.Builder, peer string, value, most float64, x, y int) {
	class, width := "bar", 0.0
	if peer == ownPeer {
		class = "own"
	}
	if most > 0 {
		width = max(1, barWidth*value/most)
	}
	middle := y + rowHeight*2/3
	fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\">%s</text>", x, middle, html.EscapeString(peer))
	fmt.Fprintf(b, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\"/>", class, x+labelWidth, y+3, width, rowHeight-6)
	fmt.Fprintf(b, "<text x=\"%.1f\" y=\"%d\">%s</text>\n", float64(x+labelWidth)+width+6, middle, Number(value))
}

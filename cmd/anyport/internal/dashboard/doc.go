// Package dashboard is the page of admin.http: one file of HTML with its style and scripts inside. It
// loads nothing from elsewhere and needs no build step.
//
//	page.go    puts the page together, and seals it by a Content-Security-Policy
//	page.html  what stands on the page
//	style.css  light and dark, wide and narrow
//	page.js    the figures, from the events of api/events
//	map.js     the map of 256 × 256 ports, from api/ports
//
// Names, errors and addresses come from files, resolvers and clients. The scripts write them only as
// text, never as HTML, and the policy forbids every script that is not in the page.
package dashboard

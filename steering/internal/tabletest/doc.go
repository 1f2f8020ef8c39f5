// Package tabletest makes configs for the tests of package steering and below: routes in one
// line, random configs whose prefixes nest and whose port ranges overlap ([Dice]), and a naive
// lookup that scans the file as its documentation says ([Naive]), to compare tables with.
package tabletest

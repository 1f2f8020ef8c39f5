package integration

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"
)

// onOnePath are the tests with UDP that do not run on both paths (onBothPaths), and why.
var onOnePath = []struct{ why, tests string }{
	{"no flow of theirs exchanges enough for the kernel to forward it", `
		TestListenerDropsGoOn TestAdminRights TestAdminGroup TestScrapeManyRoutes TestDoctor TestDoctorNames
		TestFlows TestKill TestDrainCommand TestExplain TestTrace TestTraceSlowReader TestMistakes
		TestHoursOfReload TestReloadShare TestReloadShareGrows TestUpgradeShare TestUpgradeShareTakesOver TestImportLive TestImportedNginx TestKnockFlow TestKnockDatagram TestNothingLeaks
		TestNewConnsPerClient TestSources TestLoweredLimit TestGreedyClient TestDatagramBudget TestRoomForFiles
		TestAccessMoved TestNamesChange TestDNAT TestStatefulFilter TestPrivileges
		TestMissingBindService TestPrometheus TestLongAnswers TestAcceptProxy TestAcceptProxyWith TestProxyHeader
		TestV2First TestOriginPorts TestBecomesTheHosts TestSettle TestReload TestScans TestScanFlood
		TestServiceMistakes TestNameServicesOnOnePort TestMirrorClosed TestPorts TestUnmatched TestTwoNameServers
		TestShadowedListeners TestTwoSockets TestNoSideDoor TestFlowSurvivesStop TestSweep TestShadow
		TestShadowOfStorm TestStore TestStoreInAStorm TestStoreOfNoUse TestDrainOutlivesCrash
		TestStoreOfAnotherLink TestTransparent TestTransparentPortTaken TestTransparentErrors
		TestTransparentDoctor TestTransparentNamedClient TestTransparentWith TestTransparentName TestFirstAnswer
		TestWhatStays TestOriginsErrors TestLoops TestReflectors TestRefusingOrigin TestRefusedLater
		TestUnreachableOrigin TestClosedPort TestStartOverAnotherProgram TestUpgradeOfSharedSockets
		TestUpgradeRefused TestAcceptProxyLiveFlow TestPeersSPP TestFreeSockets
		TestOwnListeners
	`},
	{"they are about the fast path", `
		TestFastPathUnderOrders TestFastPath TestFastPathOff TestFastPathEnds
		TestUpgradeShareFastPath TestFastPathIdle TestFastPathMTU TestFastPathUnderRules TestFastPathOutlivesACrash
		TestFastPathWithinRate TestFastPathThroughDoor TestFastPathCountsOutliveKill
	`},
	{"they check limits that are applied before a flow is admitted", `
		TestNewFlows TestEveryLimitAtItsBound TestFlowsPerClient TestOneClientFillsTheTable TestAccessLogOfFlood
	`},
	{"they take away what steers, which a flow in the kernel does not need: TestFastPathUnderRules and others do that to the fast path", `
		TestTakenAway TestDeath TestUpgradeShareBothKilled
	`},
	{"their flows take both paths: the kernel forwards them after some turns, and user space what a peer has sent", `
		TestPeersUDP TestPeersUDPDrain TestPeersUDPUpgrade
	`},
	{"flows that a service may take are never admitted", "TestServiceOverUDP"},
	{"it combines fast_path with other options by itself", "TestCombinations"},
}

// TestOnBothPaths: each test with UDP runs with the fast path on and off, or is in the list.
func TestOnBothPaths(t *testing.T) {
	why := map[string]string{}
	for _, group := range onOnePath {
		for _, name := range strings.Fields(group.tests) {
			if why[name] != "" {
				t.Errorf("%s is listed twice", name)
			}
			why[name] = group.why
		}
	}
	for name, text := range testsOfPackage(t) {
		both, udp := strings.Contains(text, "onBothPaths"), strings.Contains(strings.ToLower(text), "udp")
		switch {
		case both && why[name] != "":
			t.Errorf("%s runs on both paths, and is listed as one of those of which %s", name, why[name])
		case !both && udp && why[name] == "":
			t.Errorf("%s has UDP and runs on one path only: use onBothPaths, or say in onOnePath why not", name)
		}
		delete(why, name)
	}
	for name := range why {
		t.Errorf("%s is listed and does not exist", name)
	}
}

// testsOfPackage are the tests of this package by name, as they are written.
func testsOfPackage(t *testing.T) map[string]string {
	t.Helper()
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]string{}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		source, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, f.Name(), source, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(fn.Name.Name, "Test") && fn.Name.Name != "TestMain" && fn.Recv == nil {
				tests[fn.Name.Name] = string(source[set.Position(fn.Body.Pos()).Offset:set.Position(fn.Body.End()).Offset])
			}
		}
	}
	return tests
}

// claimsNoneAdmitted reports whether the test, or the one that it is a part of, says that the kernel forwards
// none of its flows.
func claimsNoneAdmitted(name string) bool {
	name, _, _ = strings.Cut(name, "/")
	return slices.Contains(strings.Fields(onOnePath[0].tests), name)
}

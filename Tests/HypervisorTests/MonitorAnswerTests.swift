import Testing

@testable import Hypervisor

@Suite struct MonitorAnswerTests {
    @Test func refusals() {
        let refusal = #"{"id":"libvirt-3","error":{"class":"GenericError","desc":"There's a migration process"}}"#
        #expect(MonitorAnswer.error(in: refusal) == "There's a migration process")
        #expect(MonitorAnswer.error(in: #"{"return":{},"id":"libvirt-3"}"#) == nil)
    }

    @Test func runStates() {
        let answer = #"{"return":{"status":"paused","singlestep":false,"running":false},"id":"x"}"#
        #expect(MonitorAnswer.runState(in: answer) == "paused")
        #expect(MonitorAnswer.runState(in: #"{"return":{}}"#) == nil)
    }

    @Test func migrations() {
        let failed = MonitorAnswer.migration(in: #"{"return":{"status":"failed","error-desc":"Broken pipe"}}"#)
        #expect(failed == ("failed", "Broken pipe"))
        let running = #"{"return":{"status":"active","ram":{"total":1,"remaining":0},"expected-downtime":300}}"#
        #expect(MonitorAnswer.migration(in: running) == ("active", nil))
        #expect(MonitorAnswer.migration(in: #"{"return":{}}"#) == ("none", nil))
    }

    @Test func pages() {
        func answer(_ ram: String) -> String { #"{"return":{"status":"active",\#(ram)"blocked":false}}"# }
        #expect(!MonitorAnswer.hasCapturedPages(in: answer("")))
        #expect(!MonitorAnswer.hasCapturedPages(in: answer(#""ram":{"normal":0,"duplicate":0,"total":9},"#)))
        #expect(MonitorAnswer.hasCapturedPages(in: answer(#""ram":{"normal":1,"duplicate":0},"#)))
        #expect(MonitorAnswer.hasCapturedPages(in: answer(#""ram":{"duplicate":7},"#)))
        #expect(!MonitorAnswer.hasCapturedPages(in: "{}"))
    }

    @Test func blockers() {
        let answer = #"{"return":{"blocked-reasons":["VFIO device doesn't support migration"]},"id":"x"}"#
        #expect(MonitorAnswer.blockers(in: answer) == ["VFIO device doesn't support migration"])
        #expect(MonitorAnswer.blockers(in: #"{"return":{}}"#).isEmpty)
    }

    @Test(arguments: ["", "{", "[]", "null", #"{"return":7}"#, #"{"error":"text"}"#])
    func whatIsNoAnswerSaysNothing(text: String) {
        #expect(MonitorAnswer.error(in: text) == nil)
        #expect(MonitorAnswer.runState(in: text) == nil)
        #expect(MonitorAnswer.migration(in: text) == ("none", nil))
        #expect(MonitorAnswer.blockers(in: text).isEmpty)
    }

    @Test func timesOfEventsDoNotOverflow() {
        #expect(MonitorAnswer.time(seconds: 1_795_253_400, micros: 999_999) == 1_795_253_400_999_999_000)
        #expect(MonitorAnswer.time(seconds: -1, micros: 0) == 0)
        #expect(MonitorAnswer.time(seconds: .max, micros: 0) == .max)
        #expect(MonitorAnswer.time(seconds: 18_446_744_073, micros: .max) == .max)
    }
}

import Testing

@testable import AssetLibrary

struct MomentShareTests {
    @Test
    func `a user's requests with locks wait for two seconds of ten, and take nothing from others`() {
        let shares = MomentShares(exempt: [0])
        let start = ContinuousClock.now
        for moment in 0..<2000 {
            let now = start + .milliseconds(moment)
            #expect(shares.mayWait(5002, at: now))
            for uid in [5002, 0] as [UInt32] { shares.note(.milliseconds(1), of: uid, at: now) }
        }
        let late = start + .milliseconds(2001)
        #expect(!shares.mayWait(5002, at: late))
        #expect(shares.mayWait(5001, at: late))
        #expect(shares.mayWait(0, at: late))
        #expect(!shares.mayWait(5002, at: start + .milliseconds(9_999)))
        #expect(shares.mayWait(5002, at: start + .seconds(10)))
        shares.note(.seconds(2), of: 5002, at: start + .seconds(11))
        #expect(!shares.mayWait(5002, at: start + .seconds(12)))
    }
}

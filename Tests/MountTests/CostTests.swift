import Foundation
import TestSupport
import Testing

struct CostTests {
    @Test func `each operation costs the requests, statements and system calls that are written down`() throws {
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/../Costs/costs.py"
        let result = try run("python3", script, assetfs)
        #expect(result.status == 0, "\(result.output)\(result.errors)")
    }
}

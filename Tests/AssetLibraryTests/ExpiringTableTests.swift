import AssetModel
@testable import LibraryRules
@testable import LibraryStorage
import Testing

@testable import AssetLibrary

struct ExpiringTableTests {
    @Test func `values whose time is over take no memory after the next insertion`() {
        var table = ExpiringTable<Int, String>(window: .seconds(15), limit: 100_000)
        let start = ContinuousClock.now
        for key in 0..<10_000 { table.insert("former", forKey: key, at: start) }
        table.insert("later", forKey: 0, at: start + .seconds(10))
        #expect(table.count == 10_000 && table[1] == "former" && table[0] == "later")
        table.insert("last", forKey: -1, at: start + .seconds(15))
        #expect(table.count == 2 && table[1] == nil && table[0] == "later" && table[-1] == "last")
    }

    @Test func `the oldest values go first where there are too many`() {
        var table = ExpiringTable<Int, Int>(window: .seconds(15), limit: 100)
        for key in 0..<1000 { table.insert(key, forKey: key) }
        #expect(table.count == 100 && table[899] == nil && table[900] == 900 && table[999] == 999)
        table.removeValue(forKey: 950)
        #expect(table[950] == nil && table.count == 99)
    }

    @Test func `names that were given up longer ago than a moment take no memory`() throws {
        let vacancies = Vacancies(window: .zero)
        for number in 1...1000 {
            let name = try EntryName("name \(number)")
            vacancies.add(
                name,
                in: NodeID(rawValue: 1),
                asset: AssetID(rawValue: Int64(number)),
                node: NodeID(rawValue: Int64(number + 1)),
                rights: FileRights(uid: 0, gid: 0, mode: 0o644, list: nil),
                standing: nil
            )
            vacancies.addFolder(name, in: NodeID(rawValue: 1), NodeID(rawValue: Int64(number + 1)))
        }
        #expect(vacancies.count <= 3)
    }
}

import AssetModel
import Testing

struct FetchRequestTests {
    @Test(arguments: [
        ("", "http://h/IMG-0412_123.JPG", "IMG0412_123.JPG", "IMG-0412_123.JPG"),
        ("", "http://h/a/b.jpg?c=/d.png#e", "b.jpg", "b.jpg"), ("", "http://h/a%20b%2Fc.jpg", "c.jpg", "c.jpg"),
        ("", "http://h/", "original", ""), ("", "http://h", "original", ""),
        ("", "http://h/%E6%97%A5.jpg", "jpg", "日.jpg"),
        ("", "http://h/.htaccess", "htaccess", ".htaccess"), ("", "http://h/..", "original", ".."),
        ("", "http://h/a%00b", "ab", "a\0b"), ("", "http://h/100%", "100", "100%"),
        ("attachment; filename=x.txt", "http://h/y", "x.txt", "x.txt"),
        ("attachment; filename=\"a;b \\\"c\\\".txt\"", "http://h/y", "abc.txt", "a;b \"c\".txt"),
        ("attachment; filename=\"a.txt\"; filename*=UTF-8''%C3%BCber.txt", "http://h/y", "ber.txt", "über.txt"),
        ("attachment; filename=\"..\\..\\evil.exe\"", "http://h/y", "evil.exe", "evil.exe"),
        ("inline", "http://h/y.png", "y.png", "y.png"),
    ])
    func `names come from the server or the URL, and what is not plain is left out`(
        disposition: String,
        url: String,
        name: String,
        original: String
    ) {
        let found = FetchRequest.name(disposition: disposition, url: url)
        #expect(found.name == name && found.original == original)
    }

    @Test func `a name that is too long keeps its extension`() {
        let found = FetchRequest.name(disposition: "", url: "http://h/" + String(repeating: "a", count: 400) + ".jpeg")
        #expect(found.name.utf8.count == 200 && found.name.hasSuffix("aa.jpeg"))
    }

    @Test func `a request has Uploadcare's parameters, each on a line`() throws {
        let text = "https://h/x.jpg\nfilename=a b.jpg\ncheck_URL_duplicates=1\nmetadata[client]=ACME = Co\n"
        let request = try FetchRequest(text)
        #expect(request.url == "https://h/x.jpg" && request.name?.description == "a b.jpg")
        #expect(request.checksDuplicates && request.savesDuplicates)
        #expect(request.metadata.map(\.key) == ["client"] && request.metadata.map(\.value) == ["ACME = Co"])
        #expect(try FetchRequest(request.text) == request)
        let other = try FetchRequest("http://h/\ncheck_URL_duplicates=1\nsave_URL_duplicates=0")
        #expect(other.checksDuplicates && !other.savesDuplicates)
    }

    @Test(arguments: [
        ("x.jpg", FetchProblem.Code.schemeRequired), ("ftp://h/x", .schemeInvalid),
        ("file:///etc/passwd", .schemeInvalid),
        ("http://", .hostRequired), ("http:///x", .hostRequired), ("http://:80/", .hostRequired),
        ("http://u:p@/x", .hostRequired),
        ("http://a<b/", .hostMalformed), ("http://h/a b", .parsingFailed), ("http://h/ü", .parsingFailed),
        ("http://h/\nfilename=a/b", .invalid), ("http://h/\nfilename=", .invalid), ("http://h/\nwhat=1", .invalid),
        ("http://h/\ncheck_URL_duplicates=maybe", .invalid), ("http://h/\nmetadata[a b]=1", .invalid),
        ("http://h/\nmetadata[a]=", .invalid),
    ])
    func `what is no request`(text: String, code: FetchProblem.Code) throws {
        do throws(FetchProblem) {
            _ = try FetchRequest(text)
            Issue.record("this is a request: \(text)")
        } catch {
            #expect(error.code == code && error.sentence.hasSuffix(".") || error.sentence.contains(":"))
        }
    }
}

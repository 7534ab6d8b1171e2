import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import MetadataExtraction

/// The limits of a worker that a file has taken over: the same sandbox, and a malicious program.
@Suite(.serialized)
struct WorkerTests {
    /// Receives and answers requests as the worker does; `%@` is the code that handles a file.
    private let frame = """
        use POSIX (); my $recvmsg = shift @ARGV;
        sub receive {
            my $t = "\\0" x 65536; my $p = pack 'P65536 Q', $t, 65536; my $c = "\\0" x 24;
            my $m = pack 'Q L x4 P16 Q P24 Q L x4', 0, 0, $p, 1, $c, 24, 0;
            exit 0 if syscall($recvmsg, 0, $m, 0x40000000) <= 0; return (unpack 'Q l l l', $c)[3];
        }
        sub answer { syswrite STDOUT, '.' . join '', map { "$_\\0" } @_ }
        syswrite STDOUT, 'ready';
        while (1) { my $file = receive(); %@; POSIX::close($file) }
        """

    private func worker(_ action: String, _ limits: WorkerProcess.Limits = .init()) throws -> WorkerProcess {
        let script = frame.replacingOccurrences(of: "%@", with: action)
        return try WorkerProcess(.exiftool(outputBytes: 0), limits: limits, script: Array(script.utf8))
    }

    private func ask(_ worker: WorkerProcess, _ request: String = "x") throws -> [String] {
        let file = try opened("/dev/null")
        defer { try? file.close() }
        try worker.ask(Array(request.utf8), file)
        return String(decoding: try worker.answer(), as: UTF8.self).split(separator: "\0").map(String.init)
    }

    /// Takes milliseconds; a linear search of the values for each one took minutes.
    @Test(.timeLimit(.minutes(1)))
    func `an answer of one tag with very many values is read at once`() throws {
        var answer = Array("ok\0".utf8)
        for tag in 0..<150 {
            answer += Array("MWG\0MWG:Keywords\u{0}1000\0".utf8)
            for value in 0..<1000 { answer += Array("\(String(tag * 1000 + value, radix: 36))\0".utf8) }
        }
        #expect(try EmbeddedFacts(answer)["MWG:Keywords"].count == 150_000)
    }

    @Test(arguments: ["1e300", "-1e300", "inf", "nan", "90.5"])
    func `numbers of workers that no integer can be end nothing`(number: String) throws {
        let probed = ProbedFacts(Array("type\0video/mp4\0video\0h264\0rotation\0\(number)\0".utf8))
        #expect((number == "nan" || number == "inf") == (probed == nil))
        func tags(_ type: String, _ tags: [(String, String)]) throws -> EmbeddedFacts {
            let all = [("File:MIMEType", type)] + tags
            return try EmbeddedFacts(Array(("ok\0" + all.map { "G\0\($0)\u{0}1\0\($1)\0" }.joined()).utf8))
        }
        let turned = try Findings(
            probed ?? ProbedFacts(),
            tags("image/heic", [("QuickTime:Rotation", number)]),
            problem: nil
        )
        #expect(turned.orientation == (number == "90.5" ? 8 : 1))
        _ = Findings(probed ?? ProbedFacts(), EmbeddedFacts(), problem: nil)
        let dots = [
            ("Composite:ImageSize", "10x5"), ("PNG-pHYs:PixelUnits", "1"), ("PNG-pHYs:PixelsPerUnitX", number),
            ("PNG-pHYs:PixelsPerUnitY", number),
        ]
        _ = Findings(ProbedFacts(), try tags("image/png", dots), problem: nil)
    }

    @Test func `a worker that means harm can do none`() throws {
        // Each expected result is the errno or the outcome. The system call numbers are those of x86-64, the
        // machine of these tests.
        let attempts = [
            ("read a file", "open(my $h, '<', '/etc/passwd') ? 'open' : $!{EACCES} ? 'EACCES' : $!"),
            ("read its environment", "open(my $h, '<', '/proc/self/environ') ? 'open' : $!{EACCES} ? 'EACCES' : $!"),
            (
                "read the daemon's memory",
                "open(my $h, '<', '/proc/' . getppid . '/mem') ? 'open' : $!{EACCES} ? 'EACCES' : $!"
            ),
            ("write a file", "open(my $h, '>', '/tmp/harm') ? 'open' : $!{EACCES} ? 'EACCES' : $!"),
            ("write what it was given", "open(my $h, '>&=', $file) && syswrite($h, 'x') ? 'written' : 'EBADF'"),
            ("list a folder", "opendir(my $h, '/home') ? 'open' : $!{EACCES} ? 'EACCES' : $!"),
            ("remove a file", "unlink('/tmp/assetfs-harm') ? 'gone' : $!{EPERM} ? 'EPERM' : $!"),
            ("make a folder", "mkdir('/tmp/harm') ? 'made' : $!{EPERM} ? 'EPERM' : $!"),
            ("make a socket", "syscall(41, 2, 1, 0) >= 0 ? 'socket' : $!{EPERM} ? 'EPERM' : $!"),
            ("connect", "syscall(42, 0, $x, 1) >= 0 ? 'connected' : $!{EPERM} ? 'EPERM' : $!"),
            ("run a program", "exec('/bin/true') || ($!{EACCES} ? 'EACCES' : $!)"),
            ("run a shell", "system('/bin/sh', '-c', 'true') == -1 && ($!{EPERM} || $!{EACCES}) ? 'EPERM' : 'ran'"),
            ("fork", "defined fork ? 'forked' : $!{EPERM} ? 'EPERM' : $!"),
            ("signal the daemon", "kill(9, getppid) ? 'sent' : $!{EPERM} ? 'EPERM' : $!"),
            ("trace", "syscall(101, 16, getppid, 0, 0) >= 0 ? 'traced' : $!{EPERM} ? 'EPERM' : $!"),
            ("make a file in memory", "syscall(319, $x, 0) >= 0 ? 'made' : $!{EPERM} ? 'EPERM' : $!"),
            ("become root", "syscall(105, 0) >= 0 ? 'root' : $!{EPERM} ? 'EPERM' : $!"),
            ("mount", "syscall(165, $x, $x, $x, 0, 0) >= 0 ? 'mounted' : $!{EPERM} ? 'EPERM' : $!"),
            ("limit the daemon", "syscall(302, getppid, 0, $x, 0) >= 0 ? 'limited' : $!{EPERM} ? 'EPERM' : $!"),
            ("raise its memory", "syscall(302, 0, 9, $x, 0) >= 0 ? 'raised' : 'EPERM'"),
        ]
        let action = "answer(" + attempts.map { "scalar(\($0.1))" }.joined(separator: ", ") + ")"
        _ = try put([], "/tmp", as: "assetfs-harm")
        defer { try? FileManager.default.removeItem(atPath: "/tmp/assetfs-harm") }
        let answers = try ask(worker("use Errno; my $x = '/tmp' . chr(0) x 16; \(action)"))
        let expected =
            ["EACCES", "EACCES", "EACCES", "EACCES", "EBADF", "EACCES"] + [String](repeating: "EPERM", count: 14)
        for ((what, _), (answer, wanted)) in zip(attempts, zip(answers, expected)) {
            #expect(answer == wanted || what == "run a program" && answer == "EACCES", "\(what): \(answer)")
        }
        #expect(answers.count == attempts.count)
    }

    @Test func `a worker cannot write to what is open for writing here`() throws {
        try withScratch("writable") { scratch in
            let file = try opened(scratch + "/file", forWriting: true)
            defer { try? file.close() }
            _ = try file.writeAll("content".utf8)
            let attempts = [
                "(open(my $h, '+<&=', $file) && syswrite($h, 'x')) ? 'written' : 'refused'",
                "syscall(77, $file, 0) == 0 ? 'cut' : 'refused'",
                "syscall(9, 0, 4096, 3, 1, $file, 0) > 0 ? 'mapped' : 'refused'",
            ]
            let worker = try worker("answer(" + attempts.joined(separator: ", ") + ")")
            try worker.ask([0x78], file)
            let answers = String(decoding: try worker.answer(), as: UTF8.self)
            #expect(answers == "refused\0refused\0refused\0")
            #expect(try String(contentsOfFile: scratch + "/file", encoding: .utf8) == "content")
        }
    }

    @Test func `the worker of every day opens nothing any more, not even what it was made of`() throws {
        let text = String(decoding: PackageResources.exiftool_worker_pl, as: UTF8.self)
        let harmful = text.replacingOccurrences(
            of: "    if ($verb eq 'extract'",
            with: """
                    if ($verb eq 'harm') {
                        my @opened = grep { open my $h, '<', $_ } qw(/etc/passwd /usr/share/perl5/Image/ExifTool.pm /usr/bin/perl /dev/null);
                        answer(scalar @opened, exec('/usr/bin/perl') ? 'ran' : 'refused');
                    } elsif ($verb eq 'extract'
                """
        )
        let worker = try WorkerProcess(.exiftool(outputBytes: 0), script: Array(harmful.utf8))
        #expect(try ask(worker, "harm\0\0") == ["0", "refused"])
    }

    @Test func `a worker that loops, grows, floods, falls silent or dies is ended, and says why`() throws {
        // Only the idle program has a short time limit: the others may take longer on a busy machine.
        let quick = WorkerProcess.Limits(processorTime: 1, patience: 120_000)
        let impatient = WorkerProcess.Limits(processorTime: 1, patience: 3000)
        for (action, reason, limits) in [
            ("1 while 1", "more than 1 seconds of computing", quick),
            (
                "my @a; push @a, 'x' x 10_000_000 while 1", "ended the worker (signal or status 1)",
                .init(patience: 120_000)
            ),
            ("syswrite STDOUT, '+' . 'x' x 50_000 while 1", "has no end", quick),
            ("syswrite STDOUT, 'no answer'", "is no answer", quick),
            ("sleep 100", "took longer than 3 seconds", impatient),
            ("kill 11, $$; POSIX::_exit(7)", "status 7", quick),
        ] {
            let worker = try worker(action, limits)
            let said = (try? ask(worker)).map { $0.joined() } ?? ""
            #expect(said.isEmpty)
            let again = try self.worker(action, limits)
            #expect {
                _ = try ask(again)
            } throws: { error in
                guard case WorkerProcess.Failure.lost(let text) = error else { return false }
                return text.contains(reason)
            }
        }
    }

    @Test func `a worker that has died is begun anew for the next file`() throws {
        try withScratch("examiner") { scratch in
            let file = try opened(put(MediaFile.jpeg(width: 3, height: 2), scratch))
            defer { try? file.close() }
            // Workers of other tests may be there, which start again when they are needed.
            let others = try workers()
            let examiner = Examiner()
            for _ in 0..<2 {
                #expect(try examiner.examine(file, extension: "jpg").mediaType == "image/jpeg")
                #expect(try !workers().subtracting(others).isEmpty)
                try run("pkill", "-9", "-P", "\(getpid())", "-f", "assetfs-worker|perl -e").check()
                // The next file finds the worker dead, or gets an error when it sends its request.
                while try run("pgrep", "-r", "R,S,D", "-P", "\(getpid())", "-f", "assetfs-worker|perl -e").status == 0 {
                    usleep(10_000)
                }
            }
            examiner.rest()
            #expect(try workers().subtracting(others).isEmpty)
        }
    }

    /// Returns the numbers of the workers' processes that this program has started, ended ones included.
    private func workers() throws -> Set<Substring> {
        let found = try run("pgrep", "-P", "\(getpid())", "-f", "assetfs-worker|perl -e").output
        return Set(found.split(separator: "\n"))
    }
}

/// Puts bytes into a file of a folder, and returns its path.
func put(_ bytes: [UInt8], _ folder: String, as name: String = "file") throws -> String {
    let path = folder + "/" + name
    guard FileManager.default.createFile(atPath: path, contents: Data(bytes)) else { throw TestFailure("no \(path)") }
    return path
}

/// Opens a file; for writing, creates a new one.
func opened(_ path: String, forWriting: Bool = false) throws -> FileDescriptor {
    let number = unsafe open(path, forWriting ? O_RDWR | O_CREAT | O_CLOEXEC : O_RDONLY | O_CLOEXEC, 0o600)
    guard number >= 0 else { throw TestFailure("\(path) cannot be opened") }
    return FileDescriptor(rawValue: number)
}

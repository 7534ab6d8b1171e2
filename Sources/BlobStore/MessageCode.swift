internal import COpenSSL
internal import Glibc

/// HMAC-SHA256 (RFC 2104): proves that a holder of the key has written a message.
public enum MessageCode {
    /// Returns the code of a message, 32 bytes.
    public static func of(_ message: String, key: [UInt8]) -> [UInt8] {
        let bytes = Array(message.utf8)
        var code = [UInt8](repeating: 0, count: 32)
        var count: UInt32 = 0
        unsafe HMAC(EVP_sha256(), key, Int32(key.count), bytes, bytes.count, &code, &count)
        return code
    }

    /// Returns whether a code is a message's, in a time that does not depend on the number of correct bytes.
    public static func isRight(_ code: [UInt8], of message: String, key: [UInt8]) -> Bool {
        guard code.count == 32 else { return false }
        return unsafe CRYPTO_memcmp(code, of(message, key: key), 32) == 0
    }

    /// Returns a new secret key: 32 random bytes of the kernel.
    public static func newKey() -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }
}

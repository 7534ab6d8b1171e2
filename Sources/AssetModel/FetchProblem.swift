/// The reason why a URL could not be fetched, in Uploadcare's terms (Upload API, “Errors”).
public struct FetchProblem: Error, Equatable, Sendable {
    /// Uploadcare's error code, which has an errno here.
    public enum Code: String, CaseIterable, Sendable {
        case schemeRequired = "URLSchemeRequiredError"
        case schemeInvalid = "URLSchemeInvalidError"
        case hostRequired = "URLHostRequiredError"
        case hostMalformed = "URLHostMalformedError"
        case parsingFailed = "URLParsingFailedError"
        case privateAddress = "URLHostPrivateIPForbiddenError"
        case hostNotFound = "HostnameNotFoundError"
        case tooManyRedirects = "URLRedirectsLimitExceededError"
        case network = "DownloadFileHTTPNetworkError"
        case client = "DownloadFileHTTPClientError"
        case server = "DownloadFileHTTPServerError"
        case notFound = "DownloadFileNotFoundError"
        case tooLarge = "DownloadFileSizeLimitExceededError"
        case timeLimit = "DownloadFileTimeLimitExceededError"
        case invalid = "DownloadFileValidationFailedError"
        case failed = "DownloadFileError"
        case taskFailed = "DownloadFileTaskFailedError"
        case duplicate = "DuplicateFileError"
        case forbidden = "FileTypeForbiddenError"
        case quota = "AccountLimitsExceededError"
        case noSpace = "UploadFailedError"
    }

    /// The code, for programs.
    public let code: Code
    /// The message, in one sentence.
    public let sentence: String
    /// The name of the errno, as in errno(3).
    public let errno: String

    /// Creates a problem; its errno is the code's usual one unless another is given.
    public init(_ code: Code, _ sentence: String, errno: String? = nil) {
        self.code = code
        self.sentence = sentence
        self.errno = errno ?? code.errno
    }
}

extension FetchProblem.Code {
    fileprivate var errno: String {
        switch self {
        case .schemeRequired, .hostRequired, .hostMalformed, .parsingFailed, .invalid: "EINVAL"
        case .schemeInvalid: "EPROTONOSUPPORT"
        case .privateAddress: "EACCES"
        case .hostNotFound: "EHOSTUNREACH"
        case .tooManyRedirects: "ELOOP"
        case .network: "ENETUNREACH"
        case .client, .server, .failed, .taskFailed: "EREMOTEIO"
        case .notFound: "ENOENT"
        case .tooLarge: "EFBIG"
        case .timeLimit: "ETIMEDOUT"
        case .duplicate: "EEXIST"
        case .forbidden: "EPERM"
        case .quota: "EDQUOT"
        case .noSpace: "ENOSPC"
        }
    }
}

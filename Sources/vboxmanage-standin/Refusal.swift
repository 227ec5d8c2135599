/// An error as VBoxManage words one.
struct Refusal: Error {
    enum Code: String {
        case objectNotFound = "VBOX_E_OBJECT_NOT_FOUND (0x80bb0001)"
        case invalidVMState = "VBOX_E_INVALID_VM_STATE (0x80bb0002)"
        case fileError = "VBOX_E_FILE_ERROR (0x80bb0004)"
        case invalidObjectState = "VBOX_E_INVALID_OBJECT_STATE (0x80bb0007)"
        case failure = "NS_ERROR_FAILURE (0x80004005)"
        /// No COM error, only a message.
        case none = ""
        /// A command line that is not understood; exit code 2.
        case syntax = "syntax"
    }

    var text: String
    var code: Code

    init(_ text: String, code: Code = .none) {
        self.text = text
        self.code = code
    }

    var exitCode: Int32 { code == .syntax ? 2 : 1 }

    var lines: [String] {
        let first = "VBoxManage: error: \(text)"
        switch code {
        case .none, .syntax: return [first]
        default:
            return [
                first,
                "VBoxManage: error: Details: code \(code.rawValue), component StandIn, interface IMachine, callee nsISupports",
                "VBoxManage: error: Context: \"said by Holdfast's stand-in for VBoxManage, which is not VirtualBox\"",
            ]
        }
    }
}

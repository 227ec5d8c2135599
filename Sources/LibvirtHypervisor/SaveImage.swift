/// The header of libvirt's save images, written in front of QEMU's migration stream so that libvirt restores it.
///
/// Layout, in host byte order: the 16 octets `LibvirtQemudSave`, then version 2, length of the description with its
/// padding, was-running, format 0 (raw), offset of the cookie 0, and 14 reserved words, all of 32 bits: 92 octets.
/// Then the description, ended and padded with zero octets, so that the stream starts at a multiple of 4096.
/// Source: libvirt, src/qemu/qemu_saveimage.h.
enum SaveImage {
    static let magic = Array("LibvirtQemudSave".utf8)
    static let headerLength = 92
    static let alignment = 4096

    static func header(description: String) -> [UInt8] {
        let text = Array(description.utf8)
        let length = (headerLength + text.count + 1 + alignment - 1) / alignment * alignment - headerLength
        var bytes = magic
        bytes.reserveCapacity(headerLength + length)
        var words: [UInt32] = [2, UInt32(length), 0, 0, 0]
        words += Array(repeating: 0, count: 14)
        for word in words { withUnsafeBytes(of: word) { bytes.append(contentsOf: $0) } }
        bytes += text
        bytes += Array(repeating: 0, count: headerLength + length - bytes.count)
        return bytes
    }
}

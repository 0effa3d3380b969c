/** The declarations of structured-headers use this type of the browsers' library. Node has none. */
type BufferSource = ArrayBufferView | ArrayBuffer;

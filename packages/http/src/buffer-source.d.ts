/** A type of the browsers' library that the declarations of structured-headers use, and Node's do not have. */
type BufferSource = ArrayBufferView | ArrayBuffer;

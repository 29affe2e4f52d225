export { createFileBytes, type FileBytes, TruncatedError } from './file-bytes.js'
export { type Field, NotProtobufError, type Range, readFields } from './protobuf-fields.js'

import type { FileBytes } from './file-bytes.js'

export type Range = { readonly start: number; readonly end: number }
/** One field of a message: where its bytes lie, or its number. */
export type Field = Range & { readonly number: number; readonly value: number | undefined }

/** These bytes are no protobuf message, or one that is cut off. */
export class NotProtobufError extends Error {}

const MAX_GROUPS = 64

/** The fields of one message in the order of the file; their content is passed over, whatever its size. */
export async function* readFields(file: FileBytes, { start, end }: Range): AsyncGenerator<Field, void, void> {
  const groups: number[] = []
  for (let at = start; at < end; ) {
    const tag = await readVarint(file, at, end)
    const number = Math.floor(tag.value / 8)
    if (number < 1 || number > 536_870_911) throw new NotProtobufError('it has a field without a number')
    const field = await readField(file, { number, wire: tag.value % 8, at: tag.end, end })
    if (field.wire === 3) groups.push(number)
    if (field.wire === 4 && groups.pop() !== number) throw new NotProtobufError('it has a group without a beginning')
    if (groups.length > MAX_GROUPS) throw new NotProtobufError('its groups are nested too deep')
    if (groups.length === 0 && field.wire !== 4)
      yield { number, start: field.start, end: field.end, value: field.value }
    at = field.end
  }
  if (groups.length > 0) throw new NotProtobufError('it ends inside of a group')
}

type Place = { readonly number: number; readonly wire: number; readonly at: number; readonly end: number }
type Read = Range & { readonly wire: number; readonly value: number | undefined }

async function readField(file: FileBytes, { wire, at, end }: Place): Promise<Read> {
  const fixed = (bytes: number): Read => ({ wire, start: at, end: within(at + bytes, end), value: undefined })
  switch (wire) {
    case 0: {
      const { value, end: next } = await readVarint(file, at, end)
      return { wire, start: at, end: next, value }
    }
    case 1:
      return fixed(8)
    case 2: {
      const length = await readVarint(file, at, end)
      return { wire, start: length.end, end: within(length.end + length.value, end), value: undefined }
    }
    case 3:
    case 4:
      return fixed(0)
    case 5:
      return fixed(4)
    default:
      throw new NotProtobufError('it has a field of no known kind')
  }
}

function within(position: number, end: number): number {
  if (position > end) throw new NotProtobufError('it is cut off')
  return position
}

async function readVarint(file: FileBytes, at: number, end: number): Promise<{ value: number; end: number }> {
  const bytes = await file.read(at, Math.min(10, end - at))
  let value = 0
  for (const [index, byte] of bytes.entries()) {
    value += (byte & 0x7f) * 2 ** (7 * index)
    if (byte < 0x80) return { value, end: at + index + 1 }
  }
  throw new NotProtobufError(bytes.length < 10 ? 'it is cut off' : 'it has a number that does not end')
}

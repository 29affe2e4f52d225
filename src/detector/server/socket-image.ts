import type { SocketImage } from '../../loop/protocol/index.js'
import { fieldError } from '../serving/errors.js'
import type { ClientImage } from '../serving/parts.js'

/** An image of the socket as the pool takes it: an encoded one, or raw pixels whose bytes fit their shape. Throws a 422. */
export function toClientImage(image: SocketImage): ClientImage {
  if (image instanceof Uint8Array) return { bytes: image }
  if (image.format === 'jpeg') return { bytes: image.bytes }
  const { bytes, dtype, shape } = image
  const [height, width, channels] = shape
  if (dtype !== 'uint8') throw fieldError('body', 'image.dtype', `must be "uint8", got ${JSON.stringify(dtype)}.`)
  if (channels !== 1 && channels !== 3 && channels !== 4) {
    throw fieldError('body', 'image.shape', `must end with 1, 3 or 4 channels, got ${channels}.`)
  }
  const wanted = height * width * channels
  if (bytes.byteLength !== wanted) {
    const sentence = `must have ${wanted} bytes for the shape ${shape.join(' x ')}, got ${bytes.byteLength}.`
    throw fieldError('body', 'image.bytes', sentence)
  }
  return { pixels: bytes, width, height, channels }
}

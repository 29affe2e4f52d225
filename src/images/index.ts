export { type Box, intersectionOf, intersectionOverUnion } from './boxes.js'
export { ImageError, imageErrorCodes, isImageError } from './errors.js'
export { readFileSize } from './file-size.js'
export { type ImageHead, readImageHead } from './image-head.js'
export { checkImageSize, type ImageSize } from './image-size.js'
export {
  buffersOf,
  checkPixels,
  type ImageSource,
  memoryOf,
  type OwnedImage,
  type RawPixels,
  toOwned,
} from './image-source.js'
export { withExifFirst } from './png-exif.js'

export { decodeImage, isWholeJpeg, type RgbImage } from './decode-image.js'
export { bytesOf, decodePixels, type RgbPixels } from './decode-pixels.js'

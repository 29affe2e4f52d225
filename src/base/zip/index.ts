export { zipStream } from './zip.js'

export { packTar, unpackTar } from './tar.js'

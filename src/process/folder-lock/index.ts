export { lockFolder } from './folder-lock.js'

export { createDetectorNode, type DetectorNode } from './detector-node.js'

// `npm run parity`: prints how detections compare with those that Ultralytics has found.
import '../dist/test/inference/parity/print-parity.js'

// The camera: a frame now and then, its middle square looked at as a picture.

let stream = null; // the running camera

async function startCamera() {
  try {
    stream = await navigator.mediaDevices.getUserMedia({video: {facingMode: "environment"}, audio: false});
  } catch (error) {
    $("note").textContent = error.name === "NotFoundError" ? "There is no camera." : "The camera is not allowed here; open a picture instead.";
    return;
  }
  const video = $("video");
  video.srcObject = stream;
  await video.play();
  $("camera").textContent = "Stop camera";
  $("note").textContent = settings.pen ? "Hold a digit, dark pen on light paper, into the middle." : "";
  const canvas = document.createElement("canvas");
  const frame = () => {
    if (stream === null) return;
    const side = Math.min(video.videoWidth, video.videoHeight);
    if (side) {
      canvas.width = canvas.height = Math.min(side, 360);
      canvas.getContext("2d").drawImage(video, (video.videoWidth - side) / 2, (video.videoHeight - side) / 2, side, side, 0, 0, canvas.width, canvas.height);
      looked(canvas, canvas.width, canvas.height);
    }
    setTimeout(() => requestAnimationFrame(frame), 120);
  };
  frame();
}

function stopCamera() {
  stream?.getTracks().forEach((track) => track.stop());
  if (stream) $("camera").textContent = "Camera";
  stream = null;
}

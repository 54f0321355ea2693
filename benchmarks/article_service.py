"""The article's program, which the age and gender service is measured against: Flask and OpenCV.

    python benchmarks/article_service.py PORT DETECTOR.pb AGE.caffemodel GENDER.caffemodel

The lock is ours: OpenCV's networks give wrong answers, or crash, when two of Flask's threads use one at once.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from flask import Flask, jsonify, request

MEAN = (78.4263377603, 87.7689143744, 114.895847746)
AGES = ("(0-2)", "(4-6)", "(8-12)", "(15-20)", "(25-32)", "(38-43)", "(48-53)", "(60-100)")
GENDERS = ("Male", "Female")
PADDING = 20


def application(detector: Path, age: Path, gender: Path) -> Flask:
    """The service with its three networks."""
    faces = cv2.dnn.readNet(str(detector), str(detector.with_suffix(".pbtxt")))
    ages = cv2.dnn.readNet(str(age), str(age.with_suffix(".prototxt")))
    genders = cv2.dnn.readNet(str(gender), str(gender.with_suffix(".prototxt")))
    app, lock = Flask(__name__), threading.Lock()

    def look(frame: Any) -> list[dict[str, Any]]:
        height, width = frame.shape[:2]
        faces.setInput(cv2.dnn.blobFromImage(frame, 1.0, (300, 300), (104, 117, 123), True, False))
        found = []
        for row in faces.forward()[0, 0]:
            if row[2] <= 0.7:
                continue
            x1, y1, x2, y2 = (int(value) for value in row[3:7] * (width, height, width, height))
            face = frame[
                max(0, y1 - PADDING) : min(y2 + PADDING, height - 1),
                max(0, x1 - PADDING) : min(x2 + PADDING, width - 1),
            ]
            blob = cv2.dnn.blobFromImage(face, 1.0, (227, 227), MEAN, swapRB=False)
            genders.setInput(blob)
            gender_of = GENDERS[int(genders.forward()[0].argmax())]
            ages.setInput(blob)
            age_of = AGES[int(ages.forward()[0].argmax())]
            found.append({"box": [x1, y1, x2, y2], "gender": gender_of, "age": age_of})
        return found

    @app.post("/predict")  # type: ignore[untyped-decorator,unused-ignore]
    def predict() -> Any:
        if "image" not in request.files:
            return jsonify({"error": "no image"}), 400
        data = np.frombuffer(request.files["image"].read(), np.uint8)
        frame = cv2.imdecode(data, cv2.IMREAD_COLOR)
        with lock:
            return jsonify({"faces": look(frame)})

    return app


if __name__ == "__main__":
    port, *networks = sys.argv[1:]
    application(*map(Path, networks)).run("127.0.0.1", int(port))

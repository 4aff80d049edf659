"""Softmax regression on scikit-learn's digits, beside an RBF network with the same interface."""

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from crossent import RBFClassifier, SoftmaxClassifier

X, y = load_digits(return_X_y=True)
split = train_test_split(X / 16.0, y, test_size=0.2, stratify=y, random_state=0)
X_train, X_test, y_train, y_test = split

softmax = SoftmaxClassifier(C=1.0).fit(X_train, y_train)
network = RBFClassifier(100, random_state=0).fit(X_train, y_train)

for name, model in (("softmax regression", softmax), ("RBF network", network)):
    accuracy = model.score(X_test, y_test)
    sure = model.predict_proba(X_test).max(axis=1).mean()
    print(f"{name}: {accuracy:.1%} of {len(X_test)} held-out digits, mean confidence {sure:.3f}")
    assert accuracy > 0.93

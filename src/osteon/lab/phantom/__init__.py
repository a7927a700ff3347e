"""Synthetic films with known findings: bones in soft tissue by X-ray attenuation, in MURA's layout.

Analytic solids (`solids`) make bones and flesh (`skeleton`, `hand`, `arm`, `shoulder`, `anatomy`), something may be wrong with them
(`findings`) or worn on them (`clutter`); rays cross them (`projection`), photons are counted and a picture is developed
(`physics`), a film at a time (`film`) or a data set (`dataset`).
"""

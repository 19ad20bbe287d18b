"""trn3: the open lab for AWS Trainium3.

The core is the flat files of this folder. Read them in this order to know the formulas:

* ground: ``units uncertainty``
* formulas on numbers and arrays: ``roofline collectives energy reliability cost``
* records: ``data hardware workload model_config``, and ``committed``, the constants of a chip
* terms of a step: ``layouts memory training_step serving_step``
* estimates: ``search training inference``

Beside it stand four rooms: ``fit`` (how the constants were found), ``study`` (one question each,
for several systems), ``show`` (words and charts) and ``reporting`` (reports, batches, commands).
Dependencies run one way: core < fit < study < reporting; ``show`` imports only ``units`` and
``data``, and core and fit never import it.

``import trn3`` loads nothing heavy; import the module that you need: ``from trn3 import hardware``.
"""

__version__ = "0.1.0"
